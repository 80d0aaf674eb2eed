"""First floor: online SGD at finite input dimension, ensembles of runs, and theory against simulation."""
