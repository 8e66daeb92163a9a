"""What targets have and do: sidecars followed, others asked."""
