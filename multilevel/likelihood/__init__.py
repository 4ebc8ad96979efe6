"""The numerical core: functions of arrays, numpy and scipy only."""
