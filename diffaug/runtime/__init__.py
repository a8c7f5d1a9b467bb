"""Used by all packages: errors, files, tables, work folders, the device."""
