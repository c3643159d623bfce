"""Versions of the command-line tools that the guide asks for."""

from __future__ import annotations

from facts.versions import Tool
from observe.readings import Key, Readings
from observe.tools import Tools

KUBECTL: Key[Tool] = Key("kubectl", lambda tool: tool.evidence)
ISTIOCTL: Key[Tool] = Key("istioctl", lambda tool: tool.evidence)
TCTL: Key[Tool] = Key("tctl", lambda tool: tool.evidence)


class ToolsFacet:
    """Readings of the tools.

    Args:
        tools: The programs.
        readings: The cache.
    """

    def __init__(self, tools: Tools, readings: Readings) -> None:
        self._tools = tools
        self._readings = readings

    def kubectl(self) -> Tool:
        """Kubectl's version."""
        return self._readings.once(KUBECTL, self._tools.kubectl_version)

    def istioctl(self) -> Tool:
        """Istioctl's version."""
        return self._readings.once(ISTIOCTL, self._tools.istioctl_version)

    def tctl(self) -> Tool:
        """Tctl's version."""
        self._readings.need("teleport")
        return self._readings.once(TCTL, self._tools.tctl_version)
