// Lines of the last quarter of an hour, as SVG; `told` is JSON: [{name, unit, lines: {label: [number or null]}}].
const WIDTH = 320, HEIGHT = 96, POINTS = 180;

export default {
  props: { told: String },
  template: `
    <div class="plots">
      <figure v-for="plot in drawn" :key="plot.name" class="plot">
        <figcaption><span class="what">{{ plot.name }}</span> <span class="much">{{ plot.now }}</span></figcaption>
        <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" :aria-label="plot.said">
          <line v-for="y in [0.25, 0.5, 0.75]" class="rule" x1="0" x2="${WIDTH}" :y1="y * ${HEIGHT}" :y2="y * ${HEIGHT}"/>
          <path v-for="(path, place) in plot.paths" :key="place" :d="path.d" :class="'line line-' + place"/>
        </svg>
        <p class="scale"><span>15 minutes ago</span>
          <span v-for="(path, place) in plot.paths" :key="place" v-show="plot.paths.length > 1">
            <i :class="'key key-' + place" aria-hidden="true"></i>{{ path.label }}</span>
          <span>at most {{ plot.most }}</span></p>
      </figure>
    </div>`,
  computed: {
    drawn() { return (this.told ? JSON.parse(this.told) : []).map(this.draw); },
  },
  methods: {
    draw(plot) {
      const lines = Object.entries(plot.lines);
      const all = lines.flatMap(([, points]) => points).filter((value) => value !== null);
      const most = Math.max(...all, 0), top = most * 1.08 || 1;
      const paths = lines.map(([label, points]) => ({ label, d: this.path(points, top) }));
      const last = lines.map(([, points]) => points.at(-1)).filter((value) => value !== null && value !== undefined);
      const now = last.length ? last.map((value) => this.text(value, plot.unit)).join(" / ") : "–";
      const said = all.length ? `${plot.name}: now ${now}, at most ${this.text(most, plot.unit)} in the last 15 minutes`
        : `${plot.name}: nothing was measured in the last 15 minutes`;
      return { name: plot.name, now, paths, said, most: all.length ? this.text(most, plot.unit) : "–" };
    },
    path(points, top) {
      let d = "", pen = false;
      points.forEach((value, place) => {
        if (value === null) { pen = false; return; }
        const x = ((POINTS - points.length + place) / (POINTS - 1)) * WIDTH, y = HEIGHT - 2 - (value / top) * (HEIGHT - 4);
        d += pen ? `L${x.toFixed(1)} ${y.toFixed(1)}` : `M${x.toFixed(1)} ${y.toFixed(1)}h0.01`;
        pen = true;
      });
      return d;
    },
    text(value, unit) {
      if (unit === "s") return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
      return unit === "$" ? `$${value.toFixed(2)}` : `${Math.round(value * 10) / 10}`;
    },
  },
};
