const root = document.getElementById("root");
root.textContent = "WhaleFall: " + news;
