"""The audit report as one HTML file."""
