"""What people read: progress lines, tables, summary.json."""
