"""What requests and answers say: paths, dialects, names, figures in last records, prompt templates. All pure."""
