"""Where runs at finite D end."""
