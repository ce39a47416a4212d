"""How each type of result prints, looks and is saved."""
