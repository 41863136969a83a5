// How old is what we see? The page says when Django made it.
document.querySelectorAll("time[data-made]").forEach(function (element) {
  var seconds = Math.round((Date.now() - Date.parse(element.dataset.made)) / 1000);
  element.title = seconds + " s ago";
});
