"""What an example is worth when, and the best orders and rates: schedules, costates along them, and the search."""
