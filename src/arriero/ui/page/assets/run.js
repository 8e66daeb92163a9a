// A deployment as it goes on; `told` is JSON: null, or {name, open, sites: [...], lines: [...]}.
const MARKS = { running: "▶", done: "✔", failed: "✕", left: "–" };

export default {
  props: { told: String },
  template: `
    <div class="run" v-if="run">
      <p class="seen" data-at="run">{{ run.open ? "A deployment goes on." : "No deployment goes on; this was the last one." }}</p>
      <div class="scrolls" tabindex="0" role="region" aria-label="Progress by site"><table>
        <caption class="spoken">Progress by site</caption>
        <thead><tr><th scope="col">site</th><th scope="col">state</th><th scope="col">now at</th><th scope="col">seconds</th></tr></thead>
        <tbody><tr v-for="site in run.sites" :key="site.name" :data-run="site.name">
          <th scope="row">{{ site.name }}</th>
          <td><span class="badge" :class="'is-' + site.state"><span aria-hidden="true">{{ marks[site.state] }}</span>
            {{ site.state }}</span></td>
          <td class="breaks">{{ site.message || site.task }}</td><td>{{ site.seconds.toFixed(1) }}</td></tr></tbody>
      </table></div>
      <details><summary>What was done, line by line</summary>
        <pre class="lines" tabindex="0" role="log" aria-label="Lines of the deployment" aria-live="off">{{ run.lines.join("\\n") }}</pre></details>
    </div>
    <p v-else class="none">Nothing was deployed from this machine yet.</p>`,
  data: () => ({ marks: MARKS }),
  computed: { run() { return this.told ? JSON.parse(this.told) : null; } },
};
