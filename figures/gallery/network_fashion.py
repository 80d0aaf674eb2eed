"""What a curriculum gains on FashionMNIST against width and depth: from a table that took long to compute."""
