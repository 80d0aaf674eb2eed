"""The record of a result: named arrays with named dimensions, what is read off them, and its file."""
