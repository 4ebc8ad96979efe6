"""Pictures: functions of plain tables that draw on the axes they are given."""
