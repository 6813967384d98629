const news = "first release";
