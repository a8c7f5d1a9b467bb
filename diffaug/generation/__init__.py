"""How synthetic images are made: planned, drawn, composed."""
