"""What a Prometheus needs to watch a service: where to scrape, what to compute, when to call somebody."""
