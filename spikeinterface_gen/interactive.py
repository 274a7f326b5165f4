"""A look at what a model generates: one trial after the other, in a figure or in a notebook with sliders."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from spikeinterface.widgets.base import BaseWidget

from spikeinterface_gen.counterpart.drawing import source_of
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.plotting import SYNTHETIC, figure_style, new_figure
from spikeinterface_gen.validation.interspike import interior_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["GeneratedWidget", "plot_generated"]

_LARGEST_SEED = 99
_STEPS = 21
_ANY = "any"

# A model of windows runs beyond them; the slider goes so many times as far.
_LONGER = 4


def plot_generated(
    model: Any,
    *,
    seed: int = 0,
    duration_s: float | None = None,
    covariates: Mapping[str, Any] | None = None,
    max_units: int | None = None,
    backend: Literal["ipywidgets", "matplotlib"] = "ipywidgets",
    **backend_kwargs: Any,
) -> GeneratedWidget:
    """Show a trial that a model generates: latents, rates and spikes, with sliders for seed, length and condition.

    Parameters
    ----------
    model : fitted model, str or path
        A fitted model, or the folder of a saved one. Baselines, which have no latents and no rates of a single trial,
        are shown with their spikes only.
    seed : int
        The trial to begin with.
    duration_s : float, optional
        Its length in s. Default: that of the longest trial the model was fitted to.
    covariates : mapping from str to value, optional
        What it is drawn for, where the model is conditional; those not named are left to the model.
    max_units : int, optional
        Draw only the units with the highest rates.
    backend : {"ipywidgets", "matplotlib"}
        Sliders in a notebook, which redraw the figure when they are let go, or the figure alone.
    **backend_kwargs
        As SpikeInterface's widgets take them: for ipywidgets ``width_cm``, ``height_cm`` and ``display``.

    Returns
    -------
    GeneratedWidget
        ``.figure`` is what is shown, ``.counts`` the spikes in it; with ipywidgets, ``.widget`` holds the controls.

    Raises
    ------
    ImportError
        If ipywidgets is missing: ``pip install 'spikeinterface-gen[widgets]'``.
    ValueError
        If the model cannot draw such a trial.

    Examples
    --------
    In a notebook::

        plot_generated(model)
        plot_generated(model, seed=3, backend="matplotlib").figure.savefig("trial.png")
    """
    return GeneratedWidget(
        model,
        seed=seed,
        duration_s=duration_s,
        covariates=covariates,
        max_units=max_units,
        backend=backend,
        **backend_kwargs,
    )


class GeneratedWidget(BaseWidget):
    """What :func:`plot_generated` returns; its parameters are those.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        The last that was drawn.
    counts : SpikeCounts
        The spikes in it, one trial.
    widget : ipywidgets.Widget
        Controls and figure; with the backend "ipywidgets".
    controls : dict of str to ipywidgets.Widget
        The sliders: "seed", "duration_s", and those of the conditions by their names.
    message : ipywidgets.HTML
        Says why a trial could not be drawn.
    """

    figure: Figure
    counts: SpikeCounts

    def __init__(
        self,
        model: Any,
        *,
        seed: int = 0,
        duration_s: float | None = None,
        covariates: Mapping[str, Any] | None = None,
        max_units: int | None = None,
        backend: str = "ipywidgets",
        **backend_kwargs: Any,
    ) -> None:
        source = source_of(model)
        if source.longest_bins is None or source.bin_size_ms is None:
            raise ValueError("the model is not fitted; call model.fit(counts) first.")
        self._model = source.model
        self._bin_s = source.bin_size_ms / 1000.0
        self._longest_bins = source.longest_bins * (1 if source.trial_locked else _LONGER)
        self._max_units = max_units
        plot_data = {
            "seed": seed,
            "duration_s": source.longest_bins * self._bin_s if duration_s is None else duration_s,
            "covariates": dict(covariates or {}),
        }
        super().__init__(plot_data, backend=backend, **backend_kwargs)

    def plot_matplotlib(self, data_plot: Mapping[str, Any], **backend_kwargs: Any) -> None:
        """Draw the figure."""
        self._draw(data_plot, backend_kwargs.get("figsize") or (9.0, 6.5))

    def plot_ipywidgets(self, data_plot: Mapping[str, Any], **backend_kwargs: Any) -> None:
        """Draw the figure under sliders, and show them."""
        try:
            import ipywidgets
            from IPython.display import display
        except ImportError as error:
            raise ImportError(
                "sliders need ipywidgets: pip install 'spikeinterface-gen[widgets]'. backend=\"matplotlib\" draws "
                "without."
            ) from error

        self._figure_size = (backend_kwargs["width_cm"] / 2.54, backend_kwargs["height_cm"] / 2.54 * 1.6)
        style = {"description_width": "7em"}
        wide = ipywidgets.Layout(width="95%")
        self.controls = {
            "seed": ipywidgets.IntSlider(
                data_plot["seed"], 0, max(_LARGEST_SEED, data_plot["seed"]), description="seed"
            ),
            "duration_s": ipywidgets.FloatSlider(
                data_plot["duration_s"],
                min=self._bin_s,
                max=max(self._longest_bins * self._bin_s, data_plot["duration_s"]),
                step=self._bin_s,
                readout_format=".3g",
                description="length (s)",
            ),
        }
        for name, options in self._conditions().items():
            given = data_plot["covariates"].get(name, _ANY)
            shown = [
                (_ANY, _ANY),
                *((f"{value:.4g}" if isinstance(value, float) else str(value), value) for value in options),
            ]
            if given not in [value for _, value in shown]:
                shown.append((str(given), given))
            self.controls[name] = ipywidgets.SelectionSlider(options=shown, value=given, description=name)
        for control in self.controls.values():
            # Drawing takes longer than moving: only where a slider comes to rest.
            control.continuous_update = False
            control.style, control.layout = style, wide
            control.observe(self._update, names="value")
        self._image = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%"))
        self.message = ipywidgets.HTML()
        self.widget = ipywidgets.VBox([*self.controls.values(), self.message, self._image])
        self._update()
        if backend_kwargs["display"]:
            display(self.widget)

    # ---- inside ------------------------------------------------------------------------------

    def _conditions(self) -> dict[str, list[Any]]:
        """The values that a slider offers for each covariate that is one number or category a trial."""
        known = getattr(self._model, "conditions_", None)
        offered: dict[str, list[Any]] = {}
        for name, covariate in () if known is None else known.covariates.items():
            if not covariate.varying and covariate.num_columns == 1:
                offered[name] = (
                    covariate.categories or np.linspace(covariate.low[0], covariate.high[0], _STEPS).tolist()
                )
        return offered

    def _update(self, change: Any = None) -> None:
        """Draw what the sliders say; a trial that cannot be drawn leaves the last one, and says why."""
        values = {name: control.value for name, control in self.controls.items()}
        asked = dict(self.data_plot)
        asked |= {name: values.pop(name) for name in ("seed", "duration_s") if name in values}
        asked["covariates"] = {
            **asked["covariates"],
            **{name: value for name, value in values.items() if value != _ANY},
        }
        for name, value in values.items():
            if value == _ANY:
                asked["covariates"].pop(name, None)
        try:
            self._draw(asked, self._figure_size)
        except ValueError as error:
            if not hasattr(self, "figure"):
                raise
            self.message.value = f"<b>{error}</b>"
            return
        self.message.value = ""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png")
        self._image.value = buffer.getvalue()

    def _draw(self, asked: Mapping[str, Any], size: tuple[float, float]) -> None:
        """Draw a trial, and the figure of it."""
        options: dict[str, Any] = {"seed": asked["seed"], "durations": asked["duration_s"]}
        if asked["covariates"] or self._conditions():
            options["covariates"] = {name: [value] for name, value in asked["covariates"].items()}
        latents = None
        if hasattr(self._model, "sample_latents"):
            counts, latents = self._model._drawn(self._model._trials(1, **options), asked["seed"])
        else:
            counts = self._model.sample(1, **options)
        order = np.argsort(-counts.rates_hz, kind="stable")[: self._max_units]
        edges_s = np.arange(counts.max_bins + 1) * self._bin_s
        with figure_style():
            figure = new_figure(*size)
            if latents is not None:
                axes: Any = figure.subplots(3, 1, sharex=True, height_ratios=[1, 1.3, 1.5])
                _latents(axes[0], latents[0], edges_s)
                _rates(axes[1], self._model.decode(latents)[0][:, order], edges_s)
                _raster(axes[2], counts, order, edges_s)
            else:
                _raster(figure.subplots(), counts, order, edges_s)
        self.counts, self.figure = counts, figure


def _latents(ax: Axes, latents: np.ndarray, edges_s: np.ndarray) -> None:
    # Latents have no order: one colour, so that none looks more important than the others.
    ax.plot((edges_s[:-1] + edges_s[1:]) / 2, latents, color="black", alpha=0.5, linewidth=0.8)
    ax.set(title=f"{latents.shape[1]} latents", ylabel="latent (s.d.)")


def _rates(ax: Axes, rates_hz: np.ndarray, edges_s: np.ndarray) -> None:
    # Few bins are far above the rest; the scale is that of the others.
    top = float(np.quantile(rates_hz, 0.995)) or 1.0
    rows = np.arange(rates_hz.shape[1] + 1) - 0.5
    image = ax.pcolormesh(edges_s, rows, rates_hz.T, cmap="magma", vmin=0.0, vmax=top, rasterized=True)
    ax.figure.colorbar(image, ax=ax, label="Hz", extend="max", pad=0.01)
    ax.set(title="Rates, before spike history", ylabel="unit, fastest at the bottom")


def _raster(ax: Axes, counts: SpikeCounts, order: np.ndarray, edges_s: np.ndarray) -> None:
    row, times_bins = interior_times(counts.counts[:, :, order])
    ax.plot(
        times_bins * (counts.bin_size_ms / 1000.0),
        row,
        linestyle="none",
        marker="|",
        markersize=float(np.clip(300 / len(order), 1.2, 6)),
        markeredgewidth=0.8,
        color=SYNTHETIC,
        rasterized=True,
    )
    origin = counts.annotations
    ax.set(
        title=f"Synthetic spikes of {origin.get('model', 'a model')}, seed {origin.get('seed')}: "
        f"{len(order)} units, {counts.rates_hz[order].mean():.1f} Hz on average",
        xlabel="time (s)",
        ylabel="unit, fastest at the bottom",
        xlim=(0.0, float(edges_s[-1])),
        ylim=(-1, len(order)),
    )
