"""The wire against botocore, which serializes what we parse and parses what we serialize."""
