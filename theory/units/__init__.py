"""The units of student and teacher: activations, losses, and the normal law they are built of."""
