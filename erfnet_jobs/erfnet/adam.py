"""Adam as in D. P. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", 2015, with PyTorch's reading of it.

MindSpore's own nn.Adam leaves weight decay out for BatchNorm and adds eps before the bias of the second moment is taken
out; torch.optim.Adam, with which ERFNet was published, does neither.
"""

from collections.abc import Sequence

from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore import dtype as mstype

BETA1 = 0.9
BETA2 = 0.999
EPS = 1e-8
WEIGHT_DECAY = 1e-4


class Adam(nn.Cell):
    """Changes `parameters` in place by their gradients, a tuple in the same order, with learning rate `lr` (a scalar).

    `state` are the parameters to keep for going on later: both moments of each, named `adam.first.NAME` and
    `adam.second.NAME`, and the powers of both betas.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.parameters = ParameterTuple(parameters)
        self.first = ParameterTuple(_zeros_like(parameter, "first") for parameter in parameters)
        self.second = ParameterTuple(_zeros_like(parameter, "second") for parameter in parameters)
        self.beta1_power = Parameter(Tensor(1.0, mstype.float32), name="adam.beta1_power", requires_grad=False)
        self.beta2_power = Parameter(Tensor(1.0, mstype.float32), name="adam.beta2_power", requires_grad=False)
        self.update = ops.Adam()
        self.map = ops.HyperMap()

    @property
    def state(self) -> list[Parameter]:
        """All that the next step depends on besides the weights."""
        return [*self.first, *self.second, self.beta1_power, self.beta2_power]

    def construct(self, gradients: tuple[Tensor, ...], lr: Tensor) -> None:
        beta1_power = self.beta1_power * BETA1
        beta2_power = self.beta2_power * BETA2
        # ops.Adam adds eps to sqrt(v), PyTorch to sqrt(v / (1 - beta2^t)).
        eps = EPS * ops.sqrt(1.0 - beta2_power)
        self.map(
            ops.partial(_update, self.update, beta1_power, beta2_power, lr, eps),
            self.parameters,
            self.first,
            self.second,
            gradients,
        )
        ops.assign(self.beta1_power, beta1_power)
        ops.assign(self.beta2_power, beta2_power)


def _zeros_like(parameter: Parameter, moment: str) -> Parameter:
    return Parameter(ops.zeros_like(parameter), name=f"adam.{moment}.{parameter.name}", requires_grad=False)


# A Python loop in `construct` would be unrolled by the compiler, which takes half a minute; a mapped graph takes two
# seconds.
_update = ops.MultitypeFuncGraph("adam")


@_update.register("Function", "Tensor", "Tensor", "Tensor", "Tensor", "Tensor", "Tensor", "Tensor", "Tensor")
def _update_one(update, beta1_power, beta2_power, lr, eps, parameter, first, second, gradient):  # type: ignore[no-untyped-def]
    decayed = gradient + WEIGHT_DECAY * parameter
    return update(parameter, first, second, beta1_power, beta2_power, lr, BETA1, BETA2, eps, decayed)
