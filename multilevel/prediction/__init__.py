"""What a fit says about rows and levels: conditional modes and predictions."""
