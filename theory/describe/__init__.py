"""What a user writes down: experiment, student, training, protocol, numerics, study."""
