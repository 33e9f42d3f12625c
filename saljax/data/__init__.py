"""Images, boxes and generated data with known evidence."""
