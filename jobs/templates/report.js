"use strict";
(function () {
  // One sound at a time, and a line that runs along its waveform.
  function wave(audio) {
    return audio.closest(".said").querySelector(".tracks");
  }
  document.addEventListener("play", function (event) {
    document.querySelectorAll("audio").forEach(function (other) {
      if (other !== event.target) other.pause();
    });
  }, true);
  document.addEventListener("timeupdate", function (event) {
    var audio = event.target, line = wave(audio) && wave(audio).querySelector(".now");
    if (!line || !audio.duration) return;
    line.hidden = false;
    line.style.left = (100 * audio.currentTime / audio.duration) + "%";
  }, true);
  document.addEventListener("click", function (event) {
    var track = event.target.closest && event.target.closest(".tracks");
    var audio = track && track.closest(".said").querySelector("audio");
    if (!audio) return;
    var box = track.getBoundingClientRect(), share = (event.clientX - box.left) / box.width;
    function seek() {
      audio.currentTime = share * audio.duration;
      audio.play().catch(function () {}); // stopped before it began
    }
    if (audio.readyState > 0) seek();
    else {
      audio.addEventListener("loadedmetadata", seek, { once: true });
      audio.load();
    }
  });

  // Chromium cannot seek in some short FLAC files, and then gives up on them: start those again.
  document.addEventListener("error", function (event) {
    var audio = event.target, again = audio.tagName === "AUDIO" && !audio.paused;
    if (audio.tagName !== "AUDIO" || audio.currentTime === 0) return;
    audio.load();
    if (again) audio.play().catch(function () {});
  }, true);

  // A line that runs out of view pulls its timeline along.
  document.addEventListener("timeupdate", function (event) {
    var tracks = wave(event.target), box = tracks && tracks.parentElement;
    if (!box || !event.target.duration || box.scrollWidth <= box.clientWidth) return;
    var x = tracks.offsetWidth * event.target.currentTime / event.target.duration;
    if (x < box.scrollLeft || x > box.scrollLeft + box.clientWidth - 20) box.scrollLeft = x - 20;
  }, true);

  // Filters: every chosen mark must be among a card's marks, every word in its text.
  var panel = document.getElementById("filters");
  if (!panel) return;
  var cards = Array.from(document.querySelectorAll("article.sample"));
  var words = panel.querySelector("input"), said = document.getElementById("filtered");
  var choices = Array.from(panel.querySelectorAll("select"));
  var texts = cards.map(function () { return ""; });
  var folds = Array.from(document.querySelectorAll("details.more")), opened = [];
  function apply() {
    var wanted = choices.map(function (item) { return item.value; }).filter(Boolean);
    var sought = words.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0;
    cards.forEach(function (card, place) {
      var marks = card.dataset.marks.split(" ");
      if (sought.length && !texts[place]) texts[place] = card.textContent.toLowerCase();
      card.hidden = !(wanted.every(function (mark) { return marks.indexOf(mark) >= 0; }) &&
        sought.every(function (word) { return texts[place].indexOf(word) >= 0; }));
      if (card.hidden) card.querySelectorAll("audio").forEach(function (one) { one.pause(); });
      else shown += 1;
    });
    if (wanted.length || sought.length) folds.forEach(function (fold) {
      if (!fold.open) { fold.open = true; opened.push(fold); }
    });
    else opened.splice(0).forEach(function (fold) { fold.open = false; });
    document.querySelectorAll(".group").forEach(function (group) {
      group.hidden = !group.querySelector("article:not([hidden])");
    });
    said.textContent = shown + " of " + cards.length + " shown" +
      (shown ? "" : ": nothing here is like that; take a filter away");
  }
  panel.addEventListener("input", apply);
  panel.querySelector("button").addEventListener("click", function () {
    choices.forEach(function (item) { item.value = ""; });
    words.value = "";
    apply();
    words.focus();
  });
  panel.hidden = false;
  apply();
})();
