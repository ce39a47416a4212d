"""The numbers of one convolution: its sizes and costs, and the settings that give a wanted size."""
