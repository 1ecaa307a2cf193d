import type uPlot from 'uplot';
import { h } from './dom.js';
import { type Samples, type Sample } from './samples.js';

/** One line of a chart. */
export interface Line {
  readonly label: string;
  /** Name of a colour of the page's style. */
  readonly colour: string;
  readonly of: (sample: Sample) => number;
}

interface UPlotModule {
  readonly default: typeof uPlot;
}

const HEIGHT = 170;
/** Of the line of times: what uPlot takes would be empty by half. */
const TIMES_HEIGHT = 26;
/** Steps of the scales: whole numbers. */
const STEPS = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();
let module: Promise<UPlotModule> | undefined;

/** A chart of the last minutes, with its present values as text: a picture says nothing to a screen reader. */
export class Chart {
  readonly element: HTMLElement;
  private readonly plot = h('div', { class: 'plot', 'aria-hidden': 'true' });
  private readonly values: readonly HTMLElement[];
  private drawn: uPlot | undefined;
  private readonly resized = new ResizeObserver(() => this.drawn?.setSize(this.size));
  private readonly scheme = matchMedia('(prefers-color-scheme: dark)');
  private readonly repaint = (): void => {
    this.drawn?.destroy();
    this.drawn = undefined;
    void this.draw();
  };
  private isOver = false;

  constructor(
    title: string,
    private readonly lines: readonly Line[],
    private readonly samples: Samples,
    private readonly format: (value: number) => string,
  ) {
    this.values = lines.map(() => h('b', {}, '–'));
    const legend = lines.map(({ label, colour }, index) =>
      h('li', {}, h('i', { class: `key ${colour}` }), `${label} `, this.values[index]),
    );
    this.element = h(
      'figure',
      { class: 'card' },
      h('figcaption', {}, title),
      h('ul', { class: 'legend' }, ...legend),
      this.plot,
    );
    this.resized.observe(this.plot);
    this.scheme.addEventListener('change', this.repaint);
    void this.draw();
  }

  update(): void {
    const { last } = this.samples;
    if (last === undefined) return;
    this.lines.forEach(({ of }, index) => {
      (this.values[index] as HTMLElement).textContent = this.format(of(last));
    });
    this.drawn?.setData(this.data);
  }

  end(): void {
    this.isOver = true;
    this.resized.disconnect();
    this.scheme.removeEventListener('change', this.repaint);
    this.drawn?.destroy();
  }

  private async draw(): Promise<void> {
    module ??= import(new URL('uPlot.esm.js', import.meta.url).href) as Promise<UPlotModule>;
    const { default: UPlot } = await module;
    if (this.isOver || this.drawn !== undefined) return;
    const { format } = this;
    const quiet = colourOf('quiet');
    const axis = { stroke: quiet, grid: { stroke: colourOf('line'), width: 1 }, ticks: { show: false } };
    this.drawn = new UPlot(
      {
        ...this.size,
        cursor: { show: false },
        legend: { show: false },
        scales: { y: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.1)] } },
        axes: [
          {
            ...axis,
            size: TIMES_HEIGHT,
            space: 90,
            values: (_plot, ticks) => ticks.map((at) => new Date(at * 1_000).toLocaleTimeString()),
          },
          { ...axis, size: 64, incrs: STEPS, values: (_plot, ticks) => ticks.map((tick) => format(tick)) },
        ],
        series: [
          {},
          ...this.lines.map(({ label, colour }) => ({
            label,
            stroke: colourOf(colour),
            width: 2,
            points: { show: false },
          })),
        ],
      },
      this.data,
      this.plot,
    );
  }

  private get data(): uPlot.AlignedData {
    const { all } = this.samples;
    return [all.map(({ at }) => at), ...this.lines.map(({ of }) => all.map(of))];
  }

  private get size(): { readonly width: number; readonly height: number } {
    return { width: Math.max(200, this.plot.clientWidth), height: HEIGHT };
  }
}

function colourOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
