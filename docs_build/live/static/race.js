// The race of the optimizers: controls, clock and legend. What moves is nnxLive.rules, recorded from nnx.
"use strict";
(() => {
  const live = globalThis.nnxLive;
  const MOST_STEPS = 5000, SHOWN_AT_FIRST = 200, ARRIVED = 0.01, MOST_RULES = 8;
  const RATES = [];
  for (let power = -5; power <= 1; power++) for (const m of [1, 2, 5]) RATES.push(Number(`${m}e${power}`));
  const COLORS = {
    light: ["#c62828", "#1a4fd6", "#00735c", "#a3268f", "#a65300", "#37474f", "#5b3fd0", "#6b6b00"],
    dark: ["#ff8a80", "#82b1ff", "#5fe0b7", "#f48fe4", "#ffb74d", "#d5dde3", "#b9a5ff", "#e6e66a"],
  };
  const AT_FIRST = ["sgd", "sgd_momentum", "rmsprop", "adam"];

  const number = (x) => (Number.isFinite(x) ? live.short(x, 4) : "∞");

  /** One rule on its way: its options, its state as nnx has it, and where it has been. */
  class Racer {
    constructor(key) {
      this.key = key;
      this.rule = live.rules[key];
      this.path = [];
      this.options = Object.fromEntries(Object.entries(this.rule.options).map(([name, o]) => [name, o.value]));
    }

    start(landscape, start) {
      this.landscape = landscape;
      this.path = [...start];
      this.error = "";
      this.arrived = null;
      this.over = false;
      try { this.state = this.rule.start(Float64Array.from(start), this.options); } catch (error) { this.fail(error); }
      this.look();
    }

    step() {
      if (this.over) return;
      try { this.state = this.rule.step(this.state, this.options, this.landscape); } catch (error) { this.fail(error); return; }
      const { w } = this.state;
      if (!Number.isFinite(w[0]) || !Number.isFinite(w[1])) { this.over = true; this.cost = this.distance = Infinity; return; }
      this.path.push(w[0], w[1]);
      this.look();
    }

    fail(error) {
      this.over = true;
      this.error = error.message;
    }

    /** Cost, distance to the nearest goal, and the step since which it is there (a saddle point: in which it left). */
    look() {
      const { goals, goal, window: [x0, x1, y0, y1] } = this.landscape, n = this.path.length, x = this.path[n - 2], y = this.path[n - 1];
      this.cost = this.landscape.value(Float64Array.of(x, y));
      this.distance = Math.min(...goals.map(([a, b]) => Math.hypot(x - a, y - b)));
      const there = goal === "minimum" ? this.distance < ARRIVED : x < x0 || x > x1 || y < y0 || y > y1;
      if (there) this.arrived ??= n / 2 - 1;
      else if (goal === "minimum") this.arrived = null;
    }
  }

  /** The rate of the grid that brings a rule to a minimum in the fewest steps; where none does in `steps` steps,
      that with the lowest cost then. Paths that leave the window do not count. */
  function bestRate(key, landscape, start, options, steps) {
    const [x0, x1, y0, y1] = landscape.window;
    let best = RATES[0], fewest = Infinity, lowest = Infinity;
    for (const rate of RATES) {
      const racer = new Racer(key);
      Object.assign(racer.options, options, { learning_rate: rate });
      racer.start(landscape, start);
      let inside = true;
      for (let i = 0; i < steps && inside && !racer.over; i++) {
        racer.step();
        const [x, y] = racer.path.slice(-2);
        inside = x >= x0 && x <= x1 && y >= y0 && y <= y1;
      }
      const count = racer.arrived ?? Infinity;
      if (!inside || racer.error || racer.cost === Infinity) continue;
      if (count < fewest || (count === Infinity && fewest === Infinity && racer.cost < lowest)) {
        [best, fewest, lowest] = [rate, count, racer.cost];
      }
    }
    return best;
  }

  const page = (root) => `
    <div class="live-bar">
      <label class="live-grow">Function<select data-part="function">${Object.entries(live.landscapes).map(([key, l]) => `<option value="${key}">${l.label}: ${l.formula}</option>`).join("")}</select></label>
      <label>Start x<input type="number" step="any" data-part="x"></label>
      <label>Start y<input type="number" step="any" data-part="y"></label>
    </div>
    <div class="live-map">
      <canvas aria-hidden="true"></canvas><canvas aria-hidden="true"></canvas>
      <canvas tabindex="0" role="application" aria-label="Map of the function" aria-describedby="${root}-how"></canvas>
    </div>
    <p class="live-note" id="${root}-how">Click or tap the map to start there. With the keyboard: arrow keys move the start (with Shift in small steps), Space plays and pauses.</p>
    <div class="live-bar">
      <span class="live-group">
        <button type="button" class="live-main" data-part="play">Play</button>
        <button type="button" data-part="step">Step</button>
        <button type="button" data-part="reset">Reset</button>
      </span>
      <label class="live-grow"><span>Speed: <output data-part="pace"></output></span><input type="range" min="0" max="3" step="0.05" value="1.6" data-part="speed" aria-label="Speed, in powers of ten steps a second"></label>
      <span class="live-field">Step<output data-part="count">0</output></span>
      <button type="button" data-part="best">Best rates from here</button>
    </div>
    <ul class="live-rules" aria-label="Rules in the race" data-part="rules"></ul>
    <div class="live-bar" style="margin-top:.7em">
      <label class="live-grow">Add a rule<select data-part="add"><option value="">choose …</option>${Object.entries(live.rules).map(([key, r]) => `<option value="${key}">${r.label}</option>`).join("")}</select></label>
    </div>
    <p class="live-note" role="status" data-part="status"></p>`;

  class Race {
    constructor(root) {
      this.root = root;
      root.classList.add("live");
      root.innerHTML = page(root.id);
      this.parts = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((e) => [e.dataset.part, e]));
      this.map = new live.Map(root.querySelector(".live-map"));
      this.racers = AT_FIRST.map((key) => new Racer(key));
      this.calm = matchMedia("(prefers-reduced-motion: reduce)");
      this.listen();
      this.choose(Object.keys(live.landscapes)[0]);
      live.watch(root.querySelector(".live-map"), () => this.redraw());
    }

    get steps() { return Math.max(...this.racers.map((r) => r.path.length / 2 - 1), 0); }

    // -- what the reader does --------------------------------------------------------------------------

    listen() {
      const { parts } = this, canvas = this.map.heads;
      parts.function.onchange = () => this.choose(parts.function.value);
      for (const axis of ["x", "y"]) parts[axis].onchange = () => {
        const given = [parts.x.valueAsNumber, parts.y.valueAsNumber];
        if (given.every(Number.isFinite)) this.from(given, false);
      };
      parts.play.onclick = () => (this.playing ? this.pause() : this.play());
      parts.step.onclick = () => { this.pause(); this.again(); this.advance(1); this.say(); };
      parts.reset.onclick = () => { this.pause(); this.reset(); this.say(); };
      parts.best.onclick = () => { this.suggest(true); this.list(); this.preview(); };
      parts.speed.oninput = () => this.pace();
      parts.add.onchange = () => {
        const key = parts.add.value;
        parts.add.value = "";
        if (key && this.racers.length < MOST_RULES) this.add(key);
      };
      canvas.onclick = (event) => {
        const box = canvas.getBoundingClientRect(), { map } = this;
        this.from([map.toX(event.clientX - box.left), map.toY(event.clientY - box.top)], true);
      };
      canvas.onkeydown = (event) => {
        const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
        if (move) {
          const size = (event.shiftKey ? 2 : 14) * this.map.unit;
          this.from([this.start[0] + move[0] * size, this.start[1] + move[1] * size], false);
        } else if (event.key === " ") parts.play.click();
        else return;
        event.preventDefault();
      };
      this.pace();
    }

    choose(key) {
      this.landscape = live.landscapes[key];
      this.parts.function.value = key;
      this.start = [...this.landscape.start];
      this.pause();
      this.suggest(false);
      this.list();
      this.map.show(this.landscape);
      this.map.heads.setAttribute("aria-label", `Map of the function ${this.landscape.label}`);
      this.preview();
    }

    from([x, y], go) {
      this.start = [Number(x.toPrecision(4)), Number(y.toPrecision(4))];
      this.pause();
      this.reset();
      if (go) this.play(); else this.preview();
    }

    add(key) {
      const racer = new Racer(key);
      this.racers.push(racer);
      racer.options.learning_rate = this.rateFor(racer);
      this.list();
      this.preview();
      this.parts.rules.lastElementChild.querySelector("input").focus();
    }

    /** Sets the rates: those of the function, or (`here`) the best ones from the present start. */
    suggest(here) {
      for (const racer of this.racers) racer.options.learning_rate = this.rateFor(racer, here);
    }

    rateFor(racer, here = false) {
      const { rate, start } = this.landscape;
      if (rate !== null) return rate;
      return bestRate(racer.key, this.landscape, here ? this.start : start, racer.options, SHOWN_AT_FIRST);
    }

    // -- the clock -------------------------------------------------------------------------------------

    pace() {
      this.perSecond = Math.round(10 ** this.parts.speed.valueAsNumber);
      this.parts.pace.textContent = `${this.perSecond} steps a second`;
      this.parts.speed.setAttribute("aria-valuetext", this.parts.pace.textContent);
    }

    play() {
      this.again();
      if (this.calm.matches) { this.advance(SHOWN_AT_FIRST); this.say(); return; }
      this.playing = true;
      this.parts.play.textContent = "Pause";
      let last = null, due = 0;
      const frame = (now) => {
        if (!this.playing) return;
        due += last === null ? 1 : Math.min(now - last, 100) * (this.perSecond / 1000);
        last = now;
        const whole = Math.floor(due);
        due -= whole;
        if (whole) this.advance(whole);
        if (this.racers.every((r) => r.over) || this.steps >= MOST_STEPS) { this.pause(); this.say(); return; }
        this.timer = requestAnimationFrame(frame);
      };
      this.timer = requestAnimationFrame(frame);
    }

    pause() {
      const was = this.playing;
      this.playing = false;
      cancelAnimationFrame(this.timer);
      this.parts.play.textContent = "Play";
      if (was) this.say();
    }

    /** Back to the start if a finished race is shown. */
    again() {
      if (this.shown || this.steps >= MOST_STEPS || this.racers.every((r) => r.over)) this.reset();
    }

    reset() {
      this.shown = false;
      for (const racer of this.racers) racer.start(this.landscape, this.start);
      [this.parts.x.value, this.parts.y.value] = this.start;
      this.redrawPaths();
    }

    /** The race after its first steps, at rest: what is seen before anything is pressed. */
    preview() {
      this.pause();
      this.reset();
      this.advance(SHOWN_AT_FIRST);
      this.shown = true;
      this.say();
    }

    advance(count) {
      const colors = COLORS[live.scheme()];
      this.racers.forEach((racer, i) => {
        const from = racer.path.length / 2 - 1;
        for (let k = 0; k < count && !racer.over && racer.path.length < 2 * (MOST_STEPS + 1); k++) racer.step();
        this.map.trail(racer.path, colors[i], from);
      });
      this.figures();
    }

    // -- what is seen ----------------------------------------------------------------------------------

    redraw() {
      this.map.resize();
      this.swatches();
      this.redrawPaths();
    }

    redrawPaths() {
      const colors = COLORS[live.scheme()];
      this.map.clearTrails();
      this.racers.forEach((racer, i) => this.map.trail(racer.path, colors[i], 0));
      this.figures();
    }

    figures() {
      const colors = COLORS[live.scheme()];
      this.map.drawHeads(this.racers.map((racer, i) => {
        const n = racer.path.length;
        return { x: racer.path[n - 2], y: racer.path[n - 1], color: colors[i] };
      }), this.start);
      this.parts.count.textContent = this.steps;
      [...this.parts.rules.children].forEach((row, i) => {
        const racer = this.racers[i], [cost, distance, arrived] = row.querySelectorAll("output");
        cost.textContent = number(racer.cost);
        distance.textContent = number(racer.distance);
        arrived.textContent = racer.arrived === null ? "–" : `step ${racer.arrived}`;
        const error = row.querySelector(".live-error");
        error.hidden = !racer.error;
        error.textContent = racer.error;
      });
    }

    /** The list of the rules: legend, rates, options and figures. */
    list() {
      const { goal } = this.landscape;
      const open = [...this.parts.rules.querySelectorAll("details")].map((d) => d.open);
      this.parts.rules.replaceChildren(...this.racers.map((racer, i) => {
        const row = document.createElement("li"), { label, formula, options } = racer.rule;
        const index = RATES.reduce((near, r, k) => (Math.abs(Math.log(r / racer.options.learning_rate)) < Math.abs(Math.log(RATES[near] / racer.options.learning_rate)) ? k : near), 0);
        row.innerHTML = `
          <canvas class="live-swatch" aria-hidden="true"></canvas>
          <span class="live-name">${label}</span>
          <span class="live-rate">
            <input type="range" min="0" max="${RATES.length - 1}" value="${index}" aria-label="Learning rate of ${label}, slider" aria-valuetext="${racer.options.learning_rate}">
            <input type="number" min="0" step="any" value="${racer.options.learning_rate}" aria-label="Learning rate of ${label}">
          </span>
          <div class="live-figure"><span>cost</span><output></output></div>
          <div class="live-figure"><span>distance</span><output></output></div>
          <div class="live-figure"><span>${goal === "minimum" ? "arrived in" : "left in"}</span><output></output></div>
          <button type="button" class="live-remove" aria-label="Remove ${label}" title="Remove">×</button>
          <details><summary>equation and options</summary><div class="live-formula">${formula.replaceAll("<", "&lt;")}</div>
            <div class="live-bar">${Object.entries(options).filter(([name]) => name !== "learning_rate").map(([name, o]) => `
              <label>${name}<input type="number" step="any" name="${name}" value="${racer.options[name]}"${"min" in o ? ` min="${o.min}"` : ""}${"max" in o ? ` max="${o.max}"` : ""}></label>`).join("")}</div></details>
          <div class="live-error" hidden></div>`;
        const [slider, field] = row.querySelectorAll(".live-rate input");
        slider.oninput = () => {
          field.value = racer.options.learning_rate = RATES[slider.valueAsNumber];
          slider.setAttribute("aria-valuetext", field.value);
          this.preview();
        };
        field.onchange = () => { racer.options.learning_rate = field.valueAsNumber; this.preview(); };
        for (const input of row.querySelectorAll("details input")) {
          input.onchange = () => { racer.options[input.name] = input.valueAsNumber; this.preview(); };
        }
        row.querySelector(".live-remove").onclick = () => {
          this.racers.splice(i, 1);
          this.list();
          this.redrawPaths();
          this.parts.add.focus();
        };
        if (open.length === this.racers.length) row.querySelector("details").open = open[i];
        return row;
      }));
      this.swatches();
      this.parts.add.disabled = this.racers.length >= MOST_RULES;
    }

    swatches() {
      const colors = COLORS[live.scheme()];
      [...this.parts.rules.querySelectorAll(".live-swatch")].forEach((canvas, i) => {
        const [c, width, height] = live.sharp(canvas);
        c.fillStyle = colors[i];
        c.strokeStyle = "transparent";
        live.marker(c, i, width / 2, height / 2, width * 0.36);
      });
    }

    /** Says how things stand, for those who do not see the map. */
    say() {
      const ranked = this.racers.filter((r) => !r.error).sort((a, b) => a.cost - b.cost);
      const words = ranked.map((r) => `${r.rule.label} ${number(r.cost)}`).join(", ");
      this.parts.status.textContent = ranked.length ? `Cost after ${this.steps} steps: ${words}.` : "";
    }
  }

  const begin = () => {
    const root = document.getElementById("nnx-race");
    if (root && !root.dataset.live) {
      root.dataset.live = "yes";
      live.race = new Race(root);
    }
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
