"""What every room stands on: errors, files, tables, work folders, the device."""
