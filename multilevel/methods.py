"""Methods to choose from by name: registries are data, another method is a row.

Held by tests/test_methods.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from multilevel.errors import DataError, MultilevelError
from multilevel.option_values import as_word

__all__ = ["Method", "Methods", "ModelKind", "chosen", "methods", "names_for"]

Function = TypeVar("Function")
ModelKind: TypeAlias = Literal["linear", "generalized"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method(Generic[Function]):
    """One way to compute something.

    Parameters
    ----------
    name : str
        As the option names it.
    text : str
        As a table says it.
    function : callable
        The same for all methods of a registry.
    kinds : tuple of str
        The kinds of models that it is for.
    """

    name: str
    text: str
    function: Function
    kinds: tuple[ModelKind, ...] = ("linear", "generalized")


Methods: TypeAlias = MappingProxyType[str, Method[Function]]


def methods(*rows: Method[Function]) -> Methods[Function]:
    """A registry: name -> method, in the order in which messages list them."""
    return MappingProxyType({row.name: row for row in rows})


def names_for(registry: Methods[Any], kind: ModelKind) -> tuple[str, ...]:
    """The names of the methods for one kind of model."""
    return tuple(name for name, row in registry.items() if kind in row.kinds)


def chosen(
    registry: Methods[Function],
    name: Any,
    *,
    option: str,
    kind: ModelKind,
    error: type[MultilevelError] = DataError,
) -> Method[Function]:
    """The method of a name.

    Parameters
    ----------
    registry : mapping of name to Method
    name : str
        As given.
    option : str
        What the option is called.
    kind : {"linear", "generalized"}
        The kind of the model.
    error : type of MultilevelError

    Raises
    ------
    DataError or `error`
        If there is no such method for this kind of model.

    Examples
    --------
    >>> from multilevel.methods import Method, chosen, methods
    >>> means = methods(Method(name="max", text="the largest", function=max))
    >>> chosen(means, "max", option="method", kind="linear").text
    'the largest'
    """
    words = names_for(registry, kind)
    of = f"for a {kind} model" if len(words) < len(registry) else ""
    return registry[as_word(name, words, option, of=of, error=error)]
