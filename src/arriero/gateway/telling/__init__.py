"""What became of it all: figures, access lines, traces."""
