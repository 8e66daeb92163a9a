"""Azure: container groups, and the network around them."""
