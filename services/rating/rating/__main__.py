from rating.main import main

main()
