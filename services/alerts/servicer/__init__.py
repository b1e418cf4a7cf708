"""Proto to domain and back; nothing else."""
