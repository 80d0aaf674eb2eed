"""Plot functions: each draws on the axes it is given, in the package's own style."""
