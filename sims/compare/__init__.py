"""Theory against simulation: the runs of both sides, the verdict, and its table."""
