"""Mail that comes in: bounces, complaints and automatic replies."""
