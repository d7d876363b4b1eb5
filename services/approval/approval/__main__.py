from approval.main import main

main()
