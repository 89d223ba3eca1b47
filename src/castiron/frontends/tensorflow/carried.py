"""What loops carry from round to round.

What a loop carries must have the same types in each round. What the body hands on unchanged is not
carried, a counter is known from the number of the round, and a list gets its memory before the first
round: all that comes out only by converting the body, on stand-ins for what is carried, until nothing
changes any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from castiron.errors import CastironError, ModelError
from castiron.frontends.results import Compound, Missing, Result, parts, remade
from castiron.frontends.tensorflow.handlers import Context
from castiron.frontends.tensorflow.lists import TensorList
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.trips import Trips, always, counted, terms, trips
from castiron.ir import Dim, DType, Value, placeholder
from castiron.ops import F, apply
from castiron.ops.loop import check_sizes, loop
from castiron.ops.sizes import size_of
from castiron.ops.symbolic import known

#: A loop that must be unrolled may have so many rounds, and any whose number of them is known so many.
UNROLL_LIMIT, TRIPS_LIMIT = 256, 1 << 24

#: What makes the results of a condition (one) or a body (as many as are carried) out of what is carried.
Convert = Callable[[list[Result]], list[Result]]


@dataclass
class _Trial:
    """One conversion of condition and body on stand-ins: what went in, what came out, and the variables
    that the body assigned."""

    arguments: list[Result]
    test: Result
    results: list[Result]
    assigned: dict[str, Result]


class Loop:
    """One loop on its way from ``initial`` results to its final ones."""

    def __init__(self, context: Context, node: SourceNode, initial: list[Result], condition: Convert, body: Convert,
                 fixed: Iterable[int] = ()):
        self.context, self.node = context, node
        self.condition, self.body = condition, body
        self.count = len(initial)
        self.initial = list(initial)
        self.fixed = set(fixed)
        #: Variables that the body assigns, carried behind the rest.
        self.variables: list[str] = []
        #: How many elements a list gains in each round, and how many it has before the first.
        self.growth: dict[int, tuple[int, Dim]] = {}

    def convert(self) -> list[Result]:
        """The final results of what is carried."""
        start = list(self.initial)
        before = dict(self.context.current)
        try:
            trial = self._settle()
            faults = [r for k, r in enumerate(trial.results) if isinstance(r, Missing) and start[k:k + 1] and
                      not isinstance(start[k], Missing)]
            if isinstance(trial.test, Missing):
                return [Missing(self.node, causes=(trial.test,))] * self.count
            carried = (a for k, a in enumerate(trial.arguments) if k not in self.fixed)
            check_sizes((v for argument in carried for v in parts(argument)),
                        (v for result in (trial.test, *trial.results) for v in parts(result)))
            if not faults or any(f.first.unsupported for f in faults):
                return self._rolled(trial)
            error = None
        except CastironError as fault:
            error = fault
        self.context.current = before
        results = self._unrolled(start)
        if results is None and error is not None:
            raise error
        return self._rolled(trial) if results is None else results

    def _settle(self) -> _Trial:
        """A trial after which nothing more changes."""
        for _ in range(3 * (self.count + 8)):
            trial = self._try()
            if not self._learn(trial):
                return trial
        raise ModelError("what the loop carries changes its type from round to round")

    def _try(self) -> _Trial:
        context, saved = self.context, dict(self.context.current)
        arguments = [result if k in self.fixed else _stand_in(result) for k, result in enumerate(self.initial)]
        with context.aside():
            context.current.update(zip(self.variables, arguments[self.count:], strict=True))
            test, = self.condition(arguments[:self.count])
            results = self.body(arguments[:self.count])
            assigned = {name: value for name, value in context.current.items()
                        if value is not saved.get(name) and name not in self.variables}
            results += [context.current[name] for name in self.variables]
            context.current = saved
        return _Trial(arguments, test, results, assigned)

    def _learn(self, trial: _Trial) -> bool:
        """Whether the trial showed that something else must be carried."""
        changed = False
        for name in trial.assigned:
            self.variables.append(name)
            self.initial.append(self.context.value_of_name(name))
            changed = True
        for k, (argument, result) in enumerate(zip(trial.arguments, trial.results, strict=True)):
            if k in self.fixed:
                continue
            if isinstance(result, Missing) or isinstance(argument, Missing):
                self.initial[k] = result if isinstance(result, Missing) else argument
                self.fixed.add(k)
                changed = True
            elif _same(argument, result):
                self.fixed.add(k)
                changed = True
            elif isinstance(argument, TensorList) and isinstance(result, TensorList):
                changed |= self._list(k, argument, result, trial)
            elif type(argument) is not type(result):
                raise ModelError(f"the loop carries {_described(argument)} that becomes {_described(result)}")
        if not changed:
            for argument, result in zip(trial.arguments, trial.results, strict=True):
                for a, b in zip(parts(argument), parts(result), strict=True):
                    if a.type != b.type:
                        raise ModelError(f"the loop carries {a.type!r} that becomes {b.type!r} in a round; only loops "
                                         "that keep the shapes of what they carry are supported")
        return changed

    def _list(self, k: int, argument: TensorList, result: TensorList, trial: _Trial) -> bool:
        """Give a list that is carried its memory."""
        if isinstance(argument.size, Value):
            return False
        if isinstance(result.size, Value):
            raise ModelError("a list in a loop gets a length that depends on what is fed")
        gained = result.size - argument.size
        if gained == 0:
            if argument.data is None and result.data is not None:
                self.initial[k] = replace(self.initial[k].holding(result.item.shape), grows=result.grows)
                return True
            return False
        if not isinstance(gained, int) or gained < 0:
            raise ModelError(f"a list of {argument.size} elements has {result.size} after a round")
        before = self.initial[k]
        found = self._trips(trial)
        if before.limit is not None and (found.count is None or isinstance(found.count, Value)):
            capacity: Dim = before.limit
        elif found.count is None:
            raise ModelError("a list grows in a loop, and nothing bounds the number of rounds")
        elif isinstance(found.count, Value):
            capacity = before.size + gained * size_of(F.maximum(F.cast(found.count, dtype=DType.I64), 0), "rounds")
        else:
            capacity = before.size + gained * found.count
            if not found.rest:
                self.growth[k] = gained, before.size
        whole = before if before.data is not None else before.holding(result.item.shape)
        size = F.dims(values=(before.size,), shape=(), dtype=DType.I64)
        self.initial[k] = replace(whole.resized(capacity), size=size, grows=result.grows)
        return True

    def _trips(self, trial: _Trial) -> Trips:
        return trips(trial.test, self.initial, trial.arguments, trial.results, self.fixed)

    def _rolled(self, trial: _Trial) -> list[Result]:
        if any(known(term) is not None and not always(term) for term in terms(trial.test)):
            return self.initial[:self.count]  # the condition is false from the beginning
        found = self._trips(trial)
        count, rest, counters = found.count, found.rest, found.counters
        if count is None and not rest:
            raise ModelError("a loop without an end")
        if isinstance(count, int) and count > TRIPS_LIMIT and not rest:
            raise ModelError(f"a loop of {count} rounds; up to {TRIPS_LIMIT} are supported")
        implied = set(counters) if count is not None else set()
        carried = [k for k in range(len(self.initial)) if k not in self.fixed and not (k in implied and not rest)]
        flat = tuple(v for k in carried for v in parts(self.initial[k]))

        def arguments(i: Value, values: tuple[Value, ...]) -> list[Result]:
            left = list(values)
            found = list(self.initial)
            for k in carried:
                size = len(parts(self.initial[k]))
                found[k] = remade(self.initial[k], tuple(left[:size]))
                del left[:size]
            for k in implied:
                found[k] = counted(self.initial[k], i, counters[k])
            return found

        def step(i: Value, values: tuple[Value, ...]) -> tuple[Value, ...]:
            given = arguments(i, values)
            saved = dict(self.context.current)
            with self.context.inside():
                self.context.current.update(zip(self.variables, given[self.count:], strict=True))
                results = self.body(given[:self.count])
                results += [self.context.current[name] for name in self.variables]
            self.context.current = saved
            return tuple(v for k in carried for v in parts(results[k]))

        def condition(i: Value, values: tuple[Value, ...]) -> Value:
            with self.context.inside():
                test, = self.condition(arguments(i, values)[:self.count])
            conditions = terms(test)
            total = conditions[rest[0]]
            for number in rest[1:]:
                total = apply("and", total, conditions[number])
            return total

        final: list[Result] = list(self.initial)
        if self.context.trying:
            values = [placeholder("carried", value.type) for value in flat]  # only the types matter
        else:
            values = list(loop(count, flat, step, condition if rest else None)) if carried else []
            if not rest:
                with self.context.inside():
                    self.condition(trial.arguments[:self.count])  # for its labels
        for k in carried:
            size = len(parts(self.initial[k]))
            final[k] = remade(self.initial[k], tuple(values[:size]))
            del values[:size]
            if k in self.growth:
                gained, first = self.growth[k]
                final[k] = replace(final[k], size=first + gained * count)
        for k in implied - set(carried):
            total = count if isinstance(count, Value) else F.dims(values=(count,), shape=(), dtype=DType.I64)
            final[k] = counted(self.initial[k], total, counters[k])
        self.context.current.update(zip(self.variables, final[self.count:], strict=True))
        return final[:self.count]

    def _unrolled(self, results: list[Result]) -> list[Result] | None:
        """The results of a loop whose condition is known before each round; None if it isn't."""
        before = dict(self.context.current)
        for _ in range(UNROLL_LIMIT):
            with self.context.inside():
                test, = self.condition(results)
                go_on = known(test) if isinstance(test, Value) else None
                if go_on is None:
                    break
                if not go_on:
                    return results
                results = self.body(results)
        self.context.current = before
        return None


def _stand_in(result: Result) -> Result:
    return remade(result, tuple(placeholder("carried", part.type) for part in parts(result)))


def _same(argument: Result, result: Result) -> bool:
    """Whether the body hands something on unchanged."""
    if isinstance(argument, TensorList) and isinstance(result, TensorList) and argument.size != result.size:
        return False
    return argument == result or (type(argument) is type(result) and isinstance(argument, Compound)
                                  and parts(argument) == parts(result))


def _described(result: Result) -> str:
    return repr(result.type) if isinstance(result, Value) else type(result).__name__
