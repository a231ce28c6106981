"""What deploy/ has for Kubernetes is valid, is rendered from one source, and fits serin."""
