"""Second floor: pictures. Plot functions take `ax=` and return what they drew; styles are applied as a context."""
