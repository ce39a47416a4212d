"""What every operator class is made of: the call it is asked about, channels, and how settings are worded."""
