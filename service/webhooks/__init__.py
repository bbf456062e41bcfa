"""Webhooks: what happens to orders is sent to those who asked for it, by the Standard Webhooks specification."""
