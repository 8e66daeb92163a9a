"""A request on its way: the order of its checks, its wait for a place, its target, its answer and how that ends."""
