"""Lottery tickets: the law of one weight, masks, and what is trained under them."""
