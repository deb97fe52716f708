# The types of what __init__.py loads on first use; tests/test_names.py compares the two.

from meanfield import activations as activations
from meanfield import datasets as datasets
from meanfield import experiments as experiments
from meanfield import flow as flow
from meanfield import kernel_law as kernel_law
from meanfield import kernels as kernels
from meanfield import limits as limits
from meanfield import plotting as plotting
from meanfield import symbolic as symbolic
from meanfield.activations import Activation as Activation
from meanfield.errors import InputError as InputError
from meanfield.errors import MissingExtraError as MissingExtraError
from meanfield.errors import StoreError as StoreError
from meanfield.errors import WorkerLostError as WorkerLostError
from meanfield.experiments import Boundary as Boundary
from meanfield.experiments import Ensemble as Ensemble
from meanfield.experiments import PhaseDiagram as PhaseDiagram
from meanfield.experiments import boundary as boundary
from meanfield.experiments import ensemble as ensemble
from meanfield.experiments import figures as figures
from meanfield.experiments import limit_diagram as limit_diagram
from meanfield.experiments import load as load
from meanfield.experiments import phase_diagram as phase_diagram
from meanfield.flow import Status as Status
from meanfield.flow import Trajectory as Trajectory
from meanfield.flow import gradient_descent as gradient_descent
from meanfield.flow import gradient_flow as gradient_flow
from meanfield.laws import PowerLaw as PowerLaw
from meanfield.limits import InfiniteWidth as InfiniteWidth
from meanfield.limits import infinite_width as infinite_width
from meanfield.losses import Loss as Loss
from meanfield.particles import Particles as Particles
from meanfield.problem import Problem as Problem
from meanfield.regime import Regime as Regime
from meanfield.regime import classify as classify
from meanfield.regime import exponents as exponents
from meanfield.scaling import Scaling as Scaling

__version__: str
__all__: list[str]
