// The fleet by site and target, as the page's process tells it each second in `told` (JSON). All text is put in as text.
const MARKS = { up: "●", suspect: "◐", new: "○", draining: "◌", down: "✕" };
const WORDS = { up: "up", suspect: "missed a probe", new: "starting", draining: "draining", down: "down" };

export default {
  props: { told: String },
  template: `
    <div class="fleet">
      <div class="strip" v-if="fleet" :class="{ stale: problem || lagging }">
        <div class="fact"><span class="what">Targets up</span>
          <span class="much" data-at="up">{{ fleet.whole.up }}<small> of {{ fleet.whole.targets }}</small></span></div>
        <div class="fact"><span class="what">Running</span><span class="much">{{ fleet.whole.running }}</span></div>
        <div class="fact"><span class="what">Waiting</span><span class="much">{{ fleet.whole.waiting }}</span></div>
        <div class="fact"><span class="what">Tokens a second</span><span class="much">{{ fleet.whole.tokens }}</span></div>
        <div class="fact"><span class="what">First token</span>
          <span class="much">{{ seconds(fleet.whole.first) }}<small> p95 {{ seconds(fleet.whole.slow) }}</small></span></div>
        <div class="fact"><span class="what">Cost a day</span><span class="much">\${{ fleet.whole.cost.toFixed(2) }}</span></div>
      </div>
      <p class="seen" :class="{ bad: problem || lagging }" data-at="seen">
        <span aria-hidden="true">{{ problem || lagging ? "▲" : "●" }}</span>
        <template v-if="lagging"> The page's server is silent; what was seen last stays.</template>
        <template v-else-if="problem"> {{ problem }} What was seen last stays.</template>
        <template v-else-if="fleet"> Live: seen at {{ fleet.at }}{{ fleet.draining ? ", the gateway is draining" : "" }}</template>
        <template v-else> Looking…</template>
      </p>
      <div class="spoken" role="status">{{ spoken }}</div>
      <div class="sites" v-if="fleet">
        <article v-for="site in fleet.sites" :key="site.name" class="site" :class="'is-' + site.state.replace(' ', '-')"
                 :data-site="site.name">
          <header>
            <h3>{{ site.name }}</h3>
            <span class="badge" :class="'is-' + site.state.replace(' ', '-')" data-at="state">{{ site.state }}</span>
            <span class="badge is-out" v-if="site.out">out of traffic</span>
          </header>
          <p class="where">{{ [site.cloud, site.region, site.role].filter(Boolean).join(" · ") }}</p>
          <dl>
            <div><dt>up</dt><dd>{{ site.up }}/{{ site.targets }}</dd></div>
            <div><dt>release</dt><dd>{{ site.release ?? "–" }}</dd></div>
            <div><dt>running</dt><dd>{{ site.running }}</dd></div>
            <div><dt>first token</dt><dd>{{ seconds(site.first) }}</dd></div>
            <div><dt>a day</dt><dd>\${{ site.cost.toFixed(2) }}</dd></div>
          </dl>
          <ul class="tiles" :class="{ many: site.tiles.length > 12 }" :aria-label="'Targets of ' + site.name"
              v-if="site.tiles.length" @keydown="move">
            <li v-for="(tile, place) in site.tiles" :key="tile.id">
              <button type="button" class="tile" :class="['is-' + tile.state, { chosen: chosen === tile.id }]"
                      :tabindex="place === (places[site.name] ?? 0) ? 0 : -1" :aria-pressed="chosen === tile.id"
                      :aria-label="said(tile)" :data-target="tile.id"
                      @focus="places[site.name] = place" @click="chosen = chosen === tile.id ? '' : tile.id">
                <span class="mark" aria-hidden="true">{{ marks[tile.state] ?? "?" }}</span>
                <span class="name">{{ tile.id }}</span>
                <span class="small">{{ tile.resident.join(", ") || "nothing in memory" }}</span>
              </button>
            </li>
          </ul>
          <p v-else class="none">No target of this site is known to the gateway.</p>
          <dl class="one" v-if="shown(site)">
            <div><dt>target</dt><dd>{{ shown(site).id }}</dd></div>
            <div><dt>state</dt><dd>{{ words[shown(site).state] ?? shown(site).state }}
              {{ shown(site).reason ? "(" + shown(site).reason + ")" : "" }}</dd></div>
            <div><dt>address</dt><dd>{{ shown(site).address }}</dd></div>
            <div><dt>release</dt><dd>{{ shown(site).release ?? "–" }}</dd></div>
            <div><dt>running</dt><dd>{{ shown(site).running }}, weight {{ shown(site).weight }}</dd></div>
            <div><dt>in memory</dt><dd>{{ shown(site).resident.join(", ") || "nothing" }}</dd></div>
            <div><dt>on disk</dt><dd>{{ shown(site).models.join(", ") || "nothing" }}</dd></div>
          </dl>
        </article>
      </div>
      <div class="scrolls" v-if="fleet && fleet.models.length" tabindex="0" role="region" aria-label="Models">
        <table class="models"><caption>Models that were asked for, or lie in memory</caption>
          <thead><tr><th scope="col">model</th><th scope="col">in memory</th><th scope="col">waiting</th>
            <th scope="col">tokens/s</th><th scope="col">first token</th><th scope="col">p95</th></tr></thead>
          <tbody><tr v-for="one in fleet.models" :key="one.name">
            <th scope="row" class="breaks">{{ one.name }}</th><td>{{ one.up }} of {{ one.targets }}</td><td>{{ one.waiting }}</td>
            <td>{{ one.tokens }}</td><td>{{ seconds(one.first) }}</td><td>{{ seconds(one.slow) }}</td></tr></tbody>
        </table>
      </div>
    </div>`,
  data: () => ({
    fleet: null, problem: "", chosen: "", places: {}, spoken: "", heard: 0, lagging: false, marks: MARKS, words: WORDS,
  }),
  watch: { told: { immediate: true, handler: "take" } },
  mounted() {
    this.clock = setInterval(() => { this.lagging = performance.now() - this.heard > 4000; }, 1000);
  },
  unmounted() { clearInterval(this.clock); },
  methods: {
    take(text) {
      if (!text) return;
      this.heard = performance.now();
      this.lagging = false;
      const now = JSON.parse(text);
      this.problem = now.problem;
      if (!now.fleet) return;
      const before = Object.fromEntries((this.fleet?.sites ?? []).map((site) => [site.name, site.state]));
      const turned = now.fleet.sites.filter((site) => site.name in before && before[site.name] !== site.state);
      if (turned.length) this.spoken = turned.map((site) => `${site.name} is ${site.state} now`).join(", ");
      this.fleet = Object.freeze(now.fleet);
    },
    seconds(value) {
      if (value === null || value === undefined) return "–";
      return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
    },
    shown(site) { return this.chosen ? site.tiles.find((tile) => tile.id === this.chosen) : undefined; },
    said(tile) {
      return `${tile.id}, ${WORDS[tile.state] ?? tile.state}, ${tile.running} running, `
        + `in memory: ${tile.resident.join(", ") || "nothing"}`;
    },
    // Arrows move among a site's targets; Tab leaves them, so that 200 of them are few stops.
    move(event) {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const tiles = [...event.currentTarget.querySelectorAll("button")];
      const now = tiles.indexOf(document.activeElement);
      const next = event.key === "Home" ? 0 : event.key === "End" ? tiles.length - 1 : step ? now + step : -1;
      if (now < 0 || !(next in tiles)) return;
      event.preventDefault();
      tiles[next].focus();
    },
  },
};
