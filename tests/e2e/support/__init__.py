"""What the end-to-end tests are made of: RESP client, processes, differential table."""
