"""Which target gets which request, and when. All pure: handed `now`, no sockets, no loop."""
